"""A typed client of the API: needs httpx and msgspec, and nothing of the platform.

    with Client("https://govsense.example.org", key_file="govsense.key") as client:
        for alert in client.alerts(state="open", province="LA-LP"):
            print(alert.severity, alert.text_en)

Lists are iterators that fetch page after page. What fails raises an ApiError that says what to
do (api/client_errors.py). Only reads are tried again, and writes that have an idempotency key.
"""

from __future__ import annotations

from api.client_actions import Actions
from api.client_inventory import Inventory
from api.client_measured import Measured
from api.client_operation import Operation
from api.client_reports import Reports
from api.client_strangers import Strangers
from api.client_trouble import Trouble


class Client(Inventory, Measured, Trouble, Actions, Reports, Strangers, Operation):
    """Every route of the API as a method."""

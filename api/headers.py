"""Headers that every response carries, so that a browser runs nothing but our own files."""

from __future__ import annotations

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}

PUBLIC = "/public/v1/"  # what everybody may read, also from pages of other origins
PUBLIC_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "ETag, Retry-After",
    "Cross-Origin-Resource-Policy": "cross-origin",
}


def headers_of(method: str, path: str) -> dict[str, str]:
    """The headers that the answer to a request carries unless its route says otherwise."""
    if method == "GET" and path.startswith(PUBLIC):
        return {**SECURITY_HEADERS, **PUBLIC_HEADERS}
    return SECURITY_HEADERS

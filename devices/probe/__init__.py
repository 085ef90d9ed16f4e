"""The agent that runs in an office: it measures the way to the network and publishes it."""

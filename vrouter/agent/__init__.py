"""The resident process and its thin client."""

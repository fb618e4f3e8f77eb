"""LogUp: buses between tables, and their auxiliary columns."""

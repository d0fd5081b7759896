"""The `tidepool` command."""

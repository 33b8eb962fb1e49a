"""The command line: `netfacts`."""

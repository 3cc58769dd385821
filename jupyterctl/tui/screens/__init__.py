"""One module for each screen; a screen is imported when it is first shown."""

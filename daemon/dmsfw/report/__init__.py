"""What dmsfw says: the log, the status document and its table, plans in words. Foreign text passes `text.clean`."""

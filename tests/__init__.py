"""The tests, the lab that they share, and the demo."""

"""What one does with a dataset that is built: look, check, mend, join, cut, export, publish."""

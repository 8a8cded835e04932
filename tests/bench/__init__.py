"""What tools/bench is made of: rivals, loads, readings, rows and tables. See README.md."""

"""What is wrong with the data before anything is changed: repeats, labels, shift, preparation."""

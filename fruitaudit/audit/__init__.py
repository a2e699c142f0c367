"""What is open during an audit: inputs, predictions, steps, pictures, groups, explanations."""

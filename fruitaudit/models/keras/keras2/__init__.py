"""Files of Keras 2, translated as data into what Keras 3 reads: configuration, operations and weights."""

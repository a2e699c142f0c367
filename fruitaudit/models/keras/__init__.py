"""The Keras backend: the only files, beside providers and the demo, that import TensorFlow."""

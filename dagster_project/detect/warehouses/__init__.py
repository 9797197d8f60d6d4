"""One file a warehouse: how it is opened for reading, and what its own errors mean."""

"""The run that most tests make."""

RUN_ID = "test"

# Columns of the PCA, in what is run on Spark.
COMPONENTS = 8

"""The run that most tests make."""

RUN_ID = "test"

# Raises what is no Exception.
# python: {outcome: failed, error: "Odd: so there (animal.py"}
# command: {outcome: failed, error: "Odd: so there"}


class Odd(BaseException):
    pass


def handle(event, context):
    raise Odd("so there")

"""A question as the input of a Rego query."""

from regopy import Interpreter


def decider(path):
    """A function that decides by `data.tasks.allow` of this module."""
    module = path.read_text()

    def decide(question):
        # An interpreter is not shared by threads.
        rego = Interpreter()
        rego.add_module("tasks", module)
        rego.set_input(question)
        results = rego.query("data.tasks.allow").results
        # What is undefined is no yes.
        return any(expression is True for result in results for expression in result.expressions)

    return decide

"""The CloudFormation stack that holds what a way needs."""

import json

from botocore.exceptions import ClientError

from . import Failure, interruption

USABLE = {"CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE"}
# Holds nothing that works.
BROKEN = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}
# Machines carry it too.
TAG = "pomona-stack"


def absent(error):
    return "does not exist" in error.response["Error"]["Message"]


class Stack:
    """A stack by its name, which need not be there."""

    def __init__(self, aws, name, progress, poll):
        self.aws = aws
        self.cloudformation = aws.client("cloudformation")
        self.name = name
        self.progress = progress
        self.poll = poll

    def describe(self):
        try:
            return self.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if absent(error):
                return None
            raise

    def wait(self, *states):
        """Returns what becomes of the stack once it is in none of the states."""
        while (stack := self.describe()) and stack["StackStatus"] in states:
            self.progress.say(f"stack {self.name} {stack['StackStatus']}")
            interruption.wait(self.poll)
        return stack

    def outputs(self):
        outputs = (self.describe() or {}).get("Outputs", [])
        return {output["OutputKey"]: output["OutputValue"] for output in outputs}

    def resource(self, name, gone=False):
        """The id of a resource, also while it is being made and after a failure; or None.

        One that was deleted with a part of the stack is listed, too: it counts where `gone`.
        """
        try:
            resources = self.cloudformation.list_stack_resources(StackName=self.name)
        except ClientError as error:
            if absent(error):
                return None
            raise
        for resource in resources["StackResourceSummaries"]:
            if resource["LogicalResourceId"] == name:
                there = gone or resource["ResourceStatus"] != "DELETE_COMPLETE"
                return resource.get("PhysicalResourceId") if there else None
        return None

    def clear(self, parameters, works):
        """Makes way for a stack with these parameters, unless it is there and `works()`.

        They are all of the template's: what a run leaves at its default is asked for, too.
        """
        stack = self.wait("DELETE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
        if not stack:
            return
        status = stack["StackStatus"]
        if status in BROKEN:
            self.delete()
            return
        if status not in USABLE:
            raise Failure(f"stack {self.name} is {status}: see to it, or take another by --stack")
        have = {item["ParameterKey"]: item["ParameterValue"] for item in stack["Parameters"]}
        for name, value in zip(parameters, map(str, parameters.values()), strict=True):
            if have.get(name) != value:
                raise Failure(
                    f"stack {self.name} is there with {name} {have.get(name)!r}, not {value!r}: "
                    "delete it first, or take another by --stack"
                )
        if status != "CREATE_IN_PROGRESS" and not works():
            self.progress.say(f"what stack {self.name} holds has terminated")
            self.delete()

    def create(self, template, parameters, tags):
        """Makes the stack unless it is there, and waits for it."""
        if not self.describe():
            self.progress.say(f"create stack {self.name}")
            self.cloudformation.create_stack(
                StackName=self.name,
                TemplateBody=json.dumps(template),
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value}
                    for name, value in parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM"],
                Tags=[
                    {"Key": key, "Value": value} for key, value in {TAG: self.name, **tags}.items()
                ],
            )
        stack = self.wait("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
        if not stack or stack["StackStatus"] not in USABLE:
            raise Failure(f"stack {self.name} could not be made: {self.reason()}")

    def reason(self):
        """What went wrong first."""
        events = self.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                why = event.get("ResourceStatusReason", "no reason given")
                return f"{event['LogicalResourceId']}: {why}"
        return "CloudFormation gives no reason"

    def delete(self):
        if not self.describe():
            return
        self.progress.say(f"delete stack {self.name}")
        self.cloudformation.delete_stack(StackName=self.name)
        if stack := self.wait("DELETE_IN_PROGRESS"):
            raise Failure(f"stack {self.name} is {stack['StackStatus']}: {self.reason()}")

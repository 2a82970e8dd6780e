"""The CloudFormation stack that holds the cluster and its roles."""

import time

from botocore.exceptions import ClientError

from . import TEMPLATE, Failure

ALIVE_CLUSTER = {"STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING"}
USABLE = {"CREATE_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_COMPLETE"}
# Holds nothing that works.
BROKEN = {"CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "DELETE_FAILED"}


class Stack:
    """A stack by its name, which need not be there."""

    def __init__(self, aws, name, progress, poll):
        self.aws = aws
        self.name = name
        self.progress = progress
        self.poll = poll

    def describe(self):
        try:
            return self.aws.cloudformation.describe_stacks(StackName=self.name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" in error.response["Error"]["Message"]:
                return None
            raise

    def wait(self, *states):
        """Returns what becomes of the stack once it is in none of the states."""
        while (stack := self.describe()) and stack["StackStatus"] in states:
            self.progress.say(f"stack {self.name} {stack['StackStatus']}")
            time.sleep(self.poll)
        return stack

    def cluster(self):
        """The id of the cluster, also while it is being made and after a failure; or None."""
        try:
            resources = self.aws.cloudformation.list_stack_resources(StackName=self.name)
        except ClientError:
            return None
        for resource in resources["StackResourceSummaries"]:
            if resource["LogicalResourceId"] == "Cluster":
                return resource.get("PhysicalResourceId")
        return None

    def cluster_state(self):
        cluster = self.aws.emr.describe_cluster(ClusterId=self.cluster())["Cluster"]
        return cluster["Status"]["State"]

    def clear(self, parameters):
        """Makes way for a stack with these parameters, unless it is there and can be used."""
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
        for name, value in parameters.items():
            if have.get(name) != value:
                raise Failure(
                    f"stack {self.name} is there with {name} {have.get(name)!r}, not {value!r}: "
                    "delete it first, or take another by --stack"
                )
        if status != "CREATE_IN_PROGRESS" and self.cluster_state() not in ALIVE_CLUSTER:
            self.progress.say(f"the cluster of stack {self.name} has terminated")
            self.delete()

    def create(self, parameters, tags):
        """Makes the stack unless it is there, and returns the id of its cluster."""
        if not self.describe():
            self.progress.say(f"create stack {self.name}")
            self.aws.cloudformation.create_stack(
                StackName=self.name,
                TemplateBody=TEMPLATE.read_text(),
                Parameters=[
                    {"ParameterKey": name, "ParameterValue": value}
                    for name, value in parameters.items()
                ],
                Capabilities=["CAPABILITY_IAM"],
                Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
            )
        stack = self.wait("CREATE_IN_PROGRESS", "ROLLBACK_IN_PROGRESS")
        if not stack or stack["StackStatus"] not in USABLE:
            raise Failure(f"stack {self.name} could not be made: {self.reason()}")
        return self.cluster()

    def reason(self):
        """What went wrong first."""
        events = self.aws.cloudformation.describe_stack_events(StackName=self.name)["StackEvents"]
        for event in reversed(events):
            if event["ResourceStatus"].endswith("_FAILED"):
                why = event.get("ResourceStatusReason", "no reason given")
                return f"{event['LogicalResourceId']}: {why}"
        return "CloudFormation gives no reason"

    def delete(self):
        if not self.describe():
            return
        self.progress.say(f"delete stack {self.name}")
        self.aws.cloudformation.delete_stack(StackName=self.name)
        if stack := self.wait("DELETE_IN_PROGRESS"):
            raise Failure(f"stack {self.name} is {stack['StackStatus']}: {self.reason()}")

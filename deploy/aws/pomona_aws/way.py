"""What the three ways share: a job is taken up or submitted, followed, and ended."""

import abc

from . import Failure, interruption
from .logs import Log, show_ends
from .stack import TAG


class Way(abc.ABC):
    """A way to run the job, by its stack, which need not be there."""

    name = ""
    done = ""
    unfinished_states: frozenset[str] = frozenset()
    telling: tuple[str, ...] = ()  # parts of the keys of logs that say why a job failed

    def __init__(self, aws, stack, progress, poll):
        self.aws = aws
        self.stack = stack
        self.progress = progress
        self.poll = poll

    @abc.abstractmethod
    def machines(self, aws, used):
        """The processors, as wheels call them, by the template's parameters."""

    @abc.abstractmethod
    def home(self, used):
        """Where the artifacts are for the job."""

    @abc.abstractmethod
    def prepare(self, plan, used):
        """The way's own parameters; refuses what would fail later, notes what was checked."""

    @abc.abstractmethod
    def command(self, plan):
        """What the user reads of the job."""

    @abc.abstractmethod
    def unfinished(self):
        """The jobs that are on: (name, id) of each; several may have one name."""

    @abc.abstractmethod
    def start(self, plan):
        """The id of the job, which is taken up where it is on already."""

    @abc.abstractmethod
    def look(self, job):
        """What the job is, its state, and why it is in it."""

    @abc.abstractmethod
    def log(self, job, plan):
        """Where the log is that can be followed, if there is one."""

    @abc.abstractmethod
    def cancel(self, job):
        """Ends the job, by and by."""

    def made(self, _):
        """What is made only where it is not in S3 yet: {name: a function that opens it}."""
        return {}

    def works(self):
        """Whether the stack, which is complete, can take jobs."""
        return True

    def take_up(self, name, submit):
        """Submits the job, unless the one of this name is still on."""
        known = dict(self.unfinished()).get(name)
        self.progress.say(f"{name} is on already" if known else f"submit {name}")
        return known or submit()

    def follow(self, job, plan):
        """Shows the job's state and its log until it ends."""
        log = Log(self.aws, self.log(job, plan))
        while True:
            what, state, why = self.look(job)
            log.show_new()
            self.progress.say(f"{what} {state}")
            if state == self.done:
                return
            if state not in self.unfinished_states:
                raise Failure(f"{what} {state}: {why or 'see its log'}")
            interruption.wait(self.poll)

    def jobs(self, plan, ours):
        """Those that are on of this plan's jobs, or of others'."""
        return [
            job for job in self.unfinished() if (job[0].removesuffix("-merge") == plan.name) == ours
        ]

    def end(self, jobs):
        """Ends the jobs, until `jobs()` finds none."""
        cancelled = set()
        while on := jobs():
            for name, job in on:
                if job not in cancelled:
                    self.progress.say(f"cancel {name}")
                    self.cancel(job)
                    cancelled.add(job)
            interruption.wait(self.poll)

    def stop(self):
        """Ends all jobs, without which the stack could not be deleted."""
        self.end(self.unfinished)

    def show_logs(self, folder):
        show_ends(self.aws, folder, self.telling)

    def left(self):
        """What is there and may cost money, a line each."""
        stack = self.stack.describe()
        found = [f"stack {self.stack.name} {stack['StackStatus']}"] if stack else []
        alive = ["pending", "running", "shutting-down", "stopping", "stopped"]
        reservations = self.aws.pages(
            *("ec2", "describe_instances", "Reservations"),
            Filters=[
                {"Name": f"tag:{TAG}", "Values": [self.stack.name]},
                {"Name": "instance-state-name", "Values": alive},
            ],
        )
        for instance in (each for about in reservations for each in about["Instances"]):
            state = instance["State"]["Name"]
            found.append(f"instance {instance['InstanceId']} {instance['InstanceType']} {state}")
        return found

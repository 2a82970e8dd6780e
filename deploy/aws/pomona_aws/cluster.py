"""An EMR cluster of its own."""

import collections

from . import Failure
from .preflight import (
    EMR_SECURITY_GROUPS,
    check_quota,
    check_tags,
    find_subnets,
    instance_types,
    machines,
    quota_of,
    security_groups,
)
from .way import Way

ALIVE = ["STARTING", "BOOTSTRAPPING", "RUNNING", "WAITING", "TERMINATING"]


class Cluster(Way):
    name = "cluster"
    done = "COMPLETED"
    unfinished_states = frozenset({"PENDING", "RUNNING", "CANCEL_PENDING"})
    telling = ("/steps/", "/bootstrap-actions/")

    def machines(self, aws, used):
        roles = ["Primary", "Core"] + (["Task"] if int(used["TaskInstanceCount"]) else [])
        return machines(aws, [used[f"{role}InstanceType"] for role in roles])

    def home(self, _):
        """Where bootstrap.sh puts the artifacts on every node."""
        return "/opt/pomona/artifacts"

    def prepare(self, plan, used):
        subnet = plan.options.subnet
        subnets, vpc = find_subnets(self.aws, [subnet] if subnet else None)
        groups = security_groups(self.aws, vpc, *EMR_SECURITY_GROUPS)
        check_tags(self.aws, {subnets[0], vpc, *groups})
        plan.notes += self.quotas(used)
        return {"SubnetId": subnets[0]}

    def quotas(self, used):
        primary, core, task = (used[f"{role}InstanceType"] for role in ("Primary", "Core", "Task"))
        about = instance_types(self.aws, [primary, core, task])
        count, tasks, limit = (
            int(used[name]) for name in ("CoreInstanceCount", "TaskInstanceCount", "ScalingLimit")
        )
        if used["TaskGpus"] != "0":
            for name in [core, task] if tasks else [core]:
                if "GpuInfo" not in about[name]:
                    raise Failure(f"TaskGpus is for nodes with GPUs, and {name} has none")
        # Managed scaling adds to the task nodes where there are any.
        tasks = max(tasks, limit - count) if tasks else 0
        count = count if tasks else max(count, limit)
        vcpus: collections.Counter[str] = collections.Counter()
        for name, nodes, market in (
            (primary, 1, "ON_DEMAND"), (core, count, used["CoreMarket"]), (task, tasks, "SPOT")
        ):  # fmt: skip
            vcpus[quota_of(name, market)] += nodes * about[name]["VCpuInfo"]["DefaultVCpus"]
        return [check_quota(self.aws, code, number) for code, number in vcpus.items() if number]

    def command(self, plan):
        # The driver runs on the primary node, which has nothing else to do; the core nodes are the
        # executors' alone, and what the job prints is the step's log.
        script = f"{plan.artifacts}/spark_job.py"
        return ["spark-submit", "--deploy-mode", "client", script, *plan.job]

    def id(self):
        return self.stack.resource("Cluster")

    def works(self):
        state = self.aws.client("emr").describe_cluster(ClusterId=self.id())["Cluster"]["Status"]
        return state["State"] in ALIVE[:-1]

    def unfinished(self):
        cluster = self.id()
        steps = self.aws.pages("emr", "list_steps", "Steps", ClusterId=cluster) if cluster else []
        return [
            (step["Name"], step["Id"])
            for step in steps
            if step["Status"]["State"] in self.unfinished_states
        ]

    def start(self, plan):
        return self.take_up(plan.name, lambda: self.submit(plan))

    def submit(self, plan):
        step = {
            "Name": plan.name,
            "ActionOnFailure": "CONTINUE",
            "HadoopJarStep": {"Jar": "command-runner.jar", "Args": self.command(plan)},
        }
        emr = self.aws.client("emr")
        return emr.add_job_flow_steps(JobFlowId=self.id(), Steps=[step])["StepIds"][0]

    def look(self, step):
        emr, cluster = self.aws.client("emr"), self.id()
        status = emr.describe_step(ClusterId=cluster, StepId=step)["Step"]["Status"]
        details = status.get("FailureDetails", {})
        why = details.get("Message") or details.get("Reason")
        return f"cluster {cluster}, step {step}", status["State"], why

    def log(self, step, plan):
        return self.logs(plan) / "steps" / step / "stderr.gz"

    def logs(self, plan):
        # They tell why, also when a stack that failed has deleted the cluster already.
        cluster = self.stack.resource("Cluster", gone=True)
        return plan.options.logs / cluster if cluster else None

    def cancel(self, step):
        self.aws.client("emr").cancel_steps(
            ClusterId=self.id(), StepIds=[step], StepCancellationOption="TERMINATE_PROCESS"
        )

    def stop(self):
        """Steps end with the cluster."""

    def left(self):
        clusters = self.aws.pages("emr", "list_clusters", "Clusters", ClusterStates=ALIVE)
        return super().left() + [
            f"cluster {cluster['Id']} {cluster['Status']['State']}"
            for cluster in clusters
            if cluster["Name"] == self.stack.name
        ]

"""AWS Batch: an array of shards, and a job that merges once all have ended."""

from botocore.exceptions import ClientError

from . import Failure
from .logs import show_end
from .preflight import MACHINES, check_quota, find_subnets, machines, security_groups
from .template import parameter_defaults
from .way import Way

# What a container does: the bare image installs Pomona as the nodes of a cluster do. Batch takes 2
# and 3 as final since Pomona means it; dnf, aws and pip use them for what may pass.
SCRIPT = """\
set -eu
pomona=${POMONA_HOME:-/opt/pomona}/venv/bin/pomona
if ! [ -x "$pomona" ]; then
  dnf install -y -q awscli-2 >&2 || exit 1
  script=$(mktemp)
  aws s3 cp --only-show-errors "$ARTIFACTS/bootstrap.sh" "$script" || exit 1
  bash "$script" "$ARTIFACTS" >&2 || exit 1
fi
[ "$SHARDS" = merge ] || SHARDS=$((${AWS_BATCH_JOB_ARRAY_INDEX:-0} + 1))/$SHARDS
exec "$pomona" run "$@" --shard "$SHARDS"
"""
SPOT_ROLE = "AWSServiceRoleForEC2Spot"


class Batch(Way):
    name = "batch"
    started: tuple[str, ...] = ()  # the job that merges, and its shards
    done = "SUCCEEDED"
    unfinished_states = frozenset({"SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING"})

    def machines(self, aws, used):
        named = [name for name in used["InstanceTypes"].split(",") if "." in name]
        wanted = [MACHINES[used["Architecture"]]]
        if named and machines(aws, named) != wanted:
            raise Failure(f"{', '.join(named)}: not all of them are {used['Architecture']}")
        return wanted

    def home(self, used):
        if used["Image"] != parameter_defaults(self.name)["Image"]:
            raise Failure("weights of your own and an image: put them into the image")
        return "/opt/pomona/artifacts"

    def prepare(self, plan, used):
        if int(used["ShardVcpus"]) > int(used["MaxVcpus"]):
            raise Failure("no shard would start: ShardVcpus is more than MaxVcpus")
        subnets, vpc = find_subnets(self.aws, plan.options.subnet)
        spot = used["Market"] == "SPOT"
        quota = "L-34B43A08" if spot else "L-1216C47A"
        plan.notes.append(check_quota(self.aws, quota, int(used["MaxVcpus"])))
        if spot:
            plan.notes += self.check_spot_role()
        # A container sees all processors of its machine, which it shares.
        if not any(word.partition("=")[0] == "--threads" for word in plan.job):
            plan.job += ["--threads", str(used["ShardVcpus"])]
        groups = security_groups(self.aws, vpc, "default")
        return {"SubnetIds": ",".join(subnets), "SecurityGroupIds": ",".join(groups)}

    def check_spot_role(self):
        try:
            self.aws.client("iam").get_role(RoleName=SPOT_ROLE)
        except ClientError as error:
            if (code := error.response["Error"]["Code"]) != "NoSuchEntity":
                return [f"NOT checked: the role {SPOT_ROLE} ({code})"]
            raise Failure(
                f"Spot needs the role {SPOT_ROLE}, once in an account:\n"
                "  aws iam create-service-linked-role --aws-service-name spot.amazonaws.com"
            ) from error
        return []

    def command(self, plan):
        return ["pomona", "run", *plan.job, "--shard", f"1..{plan.options.shards}, then merge"]

    @property
    def batch(self):
        return self.aws.client("batch")

    def unfinished(self):
        queue = self.stack.resource("Queue")
        if not queue:
            return []
        named = [{"name": "JOB_NAME", "values": ["pomona-*"]}]  # in whatever state
        jobs = self.aws.pages("batch", "list_jobs", "jobSummaryList", jobQueue=queue, filters=named)
        return [
            (job["jobName"], job["jobId"])
            for job in jobs
            # The children of an array end with it.
            if job["status"] in self.unfinished_states and ":" not in job["jobId"]
        ]

    def start(self, plan):
        # The merge is looked for first: when it is on, the shards may have ended.
        merge = self.take_up(f"{plan.name}-merge", lambda: self.submit_all(plan))
        [about] = self.describe([merge])
        self.started = merge, *(each["jobId"] for each in about.get("dependsOn", []))
        return merge

    def submit_all(self, plan):
        count = plan.options.shards
        # An array has two children at least.
        array = {"arrayProperties": {"size": count}} if count > 1 else {}
        shards = self.take_up(plan.name, lambda: self.submit(plan, plan.name, count, **array))
        after = {"dependsOn": [{"jobId": shards}]}
        return self.submit(plan, f"{plan.name}-merge", "merge", **after)

    def submit(self, plan, name, shards, **more):
        environment = {"ARTIFACTS": str(plan.artifacts), "SHARDS": str(shards)}
        answer = self.batch.submit_job(
            jobName=name,
            jobQueue=self.stack.resource("Queue"),
            jobDefinition=self.stack.resource("Shard"),
            containerOverrides={
                "command": ["bash", "-c", SCRIPT, "pomona", *plan.job],
                "environment": [
                    {"name": name, "value": value} for name, value in environment.items()
                ],
            },
            tags=plan.options.tag,
            **more,
        )
        return answer["jobId"]

    def describe(self, jobs):
        return self.batch.describe_jobs(jobs=list(jobs))["jobs"] if jobs else []

    def look(self, job):
        """The job, and for the one that merges the shards that it waits for."""
        [about] = self.describe([job])
        shards = []
        for before in self.describe([each["jobId"] for each in about.get("dependsOn", [])]):
            summary = before.get("arrayProperties", {}).get("statusSummary", {})
            summary = summary or {before["status"]: 1}
            shards += [f"{count} {state}" for state, count in summary.items() if count]
        what = f"shards {', '.join(shards)}; merge" if shards else about["jobName"]
        return what, about["status"], about.get("statusReason")

    def cancel(self, job):
        self.batch.terminate_job(jobId=job, reason="deploy/aws was told to")

    def log(self, job, plan):
        """Each shard has one of its own."""

    def logs(self, plan):
        """What failed jobs said, whose log group goes with the stack, by where it is kept."""
        kept = {}
        for job in self.failed():
            if not (stream := job["container"].get("logStreamName")):
                continue
            group = f"/pomona/{self.stack.name}"
            wanted = {"logGroupName": group, "logStreamNames": [stream]}
            events = self.aws.pages("logs", "filter_log_events", "events", **wanted)
            lines = [event["message"] for event in events]
            target = plan.options.logs / plan.name / f"{job['jobId'].replace(':', '-')}.log"
            body = "\n".join(lines).encode()
            self.aws.client("s3").put_object(Bucket=target.bucket, Key=target.prefix, Body=body)
            kept[target] = lines
        return kept

    def failed(self):
        """Those of the jobs that failed, and a few children where the shards are an array."""
        failed = [job for job in self.describe(self.started) if job["status"] == "FAILED"]
        for array in [job for job in failed if "arrayProperties" in job]:
            wanted = {"arrayJobId": array["jobId"], "jobStatus": "FAILED"}
            children = self.batch.list_jobs(**wanted)["jobSummaryList"][:5]
            failed += self.describe([child["jobId"] for child in children])
        return failed

    def show_logs(self, kept):
        for target, lines in kept.items():
            show_end(target, lines)

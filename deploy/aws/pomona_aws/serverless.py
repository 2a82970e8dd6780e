"""EMR Serverless: an application that takes Spark jobs, without machines of one's own."""

from . import Failure, interruption
from .environment import check_python, pack
from .preflight import MACHINES, check_quota
from .way import Way

ARCHIVE = "environment.tar.gz"
# What EMR calls the folder in which it unpacks the archive, beside the job; and bootstrap.sh's.
UNPACKED, INSTALLED = "./environment", "/opt/pomona/venv"
# A worker is paid by its size: vCPUs, and GiB of heap and of Python beside it.
DRIVER, EXECUTOR = (2, 2, 2), (4, 2, 6)
# Seven days, the most that AWS takes; left out, a job is cancelled after twelve hours.
TIMEOUT_MINUTES = 10080


def memory(executors):
    """GiB of these and the driver."""
    return sum(DRIVER[1:]) + executors * sum(EXECUTOR[1:])


def executors(used):
    """As many as MaxVcpus allows, and MaxMemory where it is given."""
    most = (int(used["MaxVcpus"]) - DRIVER[0]) // EXECUTOR[0]
    if used["MaxMemory"] is not None:
        most = min(most, (int(used["MaxMemory"]) - memory(0)) // (memory(1) - memory(0)))
    if most < 1:
        raise Failure("no executor would start: MaxVcpus or MaxMemory is too small")
    return most


class Serverless(Way):
    name = "serverless"
    done = "SUCCESS"
    unfinished_states = frozenset(
        {"SUBMITTED", "PENDING", "SCHEDULED", "QUEUED", "RUNNING", "CANCELLING"}
    )
    telling = ("/SPARK_DRIVER/",)

    def machines(self, _, used):
        return [MACHINES[used["Architecture"].lower()]]

    def home(self, used):
        if used["ImageUri"]:
            raise Failure("weights of your own and an image: put them into the image")
        return UNPACKED

    def prepare(self, plan, used):
        self.used = used
        plan.notes.append(check_quota(self.aws, "L-D05C8A75", int(used["MaxVcpus"])))
        [self.machine] = self.machines(self.aws, used)
        present = {found["Key"] for found in self.aws.objects(plan.artifacts)}
        if not used["ImageUri"] and (plan.artifacts / ARCHIVE).prefix not in present:
            plan.notes.append(check_python(self.machine))
        return {"MaxMemory": str(memory(executors(used)))}

    def made(self, plan):
        if self.used["ImageUri"]:
            return {}
        return {ARCHIVE: lambda: pack(plan.files, self.machine)}

    def conf(self, plan):
        python = f"{INSTALLED if self.used['ImageUri'] else UNPACKED}/bin/python"
        conf = {
            "spark.emr-serverless.driverEnv.PYSPARK_DRIVER_PYTHON": python,
            "spark.emr-serverless.driverEnv.PYSPARK_PYTHON": python,
            "spark.executorEnv.PYSPARK_PYTHON": python,
            "spark.dynamicAllocation.maxExecutors": executors(self.used),
            "spark.log.level": "WARN",
        }
        for role, (cores, heap, beside) in {"driver": DRIVER, "executor": EXECUTOR}.items():
            conf[f"spark.{role}.cores"] = cores
            conf[f"spark.{role}.memory"] = f"{heap}g"
            conf[f"spark.{role}.memoryOverhead"] = f"{beside}g"
        if not self.used["ImageUri"]:
            conf["spark.archives"] = f"{plan.artifacts / ARCHIVE}#{UNPACKED[2:]}"
        return [word for name, value in conf.items() for word in ("--conf", f"{name}={value}")]

    def command(self, plan):
        return ["spark-submit", *self.conf(plan), f"{plan.artifacts}/spark_job.py", *plan.job]

    @property
    def emr(self):
        return self.aws.client("emr-serverless")

    @property
    def application(self):
        return self.stack.resource("Application")

    def unfinished(self):
        if not self.application:
            return []
        runs = self.aws.pages(
            *("emr-serverless", "list_job_runs", "jobRuns"),
            applicationId=self.application,
            states=sorted(self.unfinished_states),
        )
        return [(about.get("name", ""), about["id"]) for about in runs]

    def start(self, plan):
        return self.take_up(plan.name, lambda: self.submit(plan))

    def submit(self, plan):
        answer = self.emr.start_job_run(
            applicationId=self.application,
            executionRoleArn=self.stack.outputs()["JobRole"],
            name=plan.name,
            executionTimeoutMinutes=TIMEOUT_MINUTES,
            jobDriver={
                "sparkSubmit": {
                    "entryPoint": f"{plan.artifacts}/spark_job.py",
                    "entryPointArguments": plan.job,
                    "sparkSubmitParameters": " ".join(self.conf(plan)),
                }
            },
            configurationOverrides={
                "monitoringConfiguration": {
                    "s3MonitoringConfiguration": {"logUri": f"{plan.options.logs}/"},
                    "cloudWatchLoggingConfiguration": {
                        "enabled": True,
                        "logGroupName": f"/pomona/{self.stack.name}",
                    },
                }
            },
            tags=plan.options.tag,
        )
        return answer["jobRunId"]

    def look(self, job):
        about = self.emr.get_job_run(applicationId=self.application, jobRunId=job)["jobRun"]
        return f"job run {job}", about["state"], about.get("stateDetails")

    def cancel(self, job):
        self.emr.cancel_job_run(applicationId=self.application, jobRunId=job)

    def log(self, job, plan):
        return self.logs(plan) / "jobs" / job / "SPARK_DRIVER" / "stderr.gz"

    def logs(self, plan):
        application = self.application
        return plan.options.logs / "applications" / application if application else None

    def stop(self):
        """An application that is started, or has a job, cannot be deleted."""
        super().stop()
        if not self.application:
            return
        while (state := self.state()) in ("STARTING", "STARTED", "STOPPING"):
            if state == "STARTED":
                self.emr.stop_application(applicationId=self.application)
            self.progress.say(f"application {self.application} {state}")
            interruption.wait(self.poll)

    def state(self):
        return self.emr.get_application(applicationId=self.application)["application"]["state"]

    def works(self):
        return self.state() != "TERMINATED"

    def left(self):
        applications = self.aws.pages("emr-serverless", "list_applications", "applications")
        return super().left() + [
            f"application {about['id']} {about['state']}"
            for about in applications
            if about["name"] == self.stack.name and about["state"] != "TERMINATED"
        ]

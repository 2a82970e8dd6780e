"""What moto lacks: machines that work, and two resources of stacks."""

import gzip
import threading
import time
from unittest import mock

import moto.emrserverless.models as emr_serverless
from moto.batch.models import ComputeEnvironment
from moto.batch_simple.models import BatchSimpleBackend
from moto.cloudformation.models import Stack
from moto.cloudformation.responses import CloudFormationResponse
from moto.core.common_models import CloudFormationModel
from moto.core.models import default_user_config
from moto.core.responses import ActionResult
from moto.emr.responses import ElasticMapReduceResponse


class Application(CloudFormationModel):
    """An application of EMR Serverless in a stack, by moto's own of that service."""

    __module__ = "moto.emrserverless.models"  # moto asks a class for its service by this

    @staticmethod
    def cloudformation_name_type():
        return "Name"

    @staticmethod
    def cloudformation_type():
        return "AWS::EMRServerless::Application"

    @classmethod
    def create_from_cloudformation_json(cls, name, resource, account, region, **_):
        properties = resource["Properties"]
        made = cls()
        made.backend = emr_serverless.emrserverless_backends[account][region]
        made.application = made.backend.create_application(
            name=name,
            release_label=properties["ReleaseLabel"],
            application_type=properties["Type"],
            client_token="",
            initial_capacity=None,
            maximum_capacity=None,
            tags={},
            auto_start_configuration=None,
            auto_stop_configuration=None,
            network_configuration=None,
        )
        made.backend.job_runs[made.application.id] = []  # or moto knows none by this id
        return made

    @property
    def physical_resource_id(self):
        return self.application.id

    def delete(self, *_):
        """Refused, as by AWS, while the application is started."""
        self.backend.delete_application(self.application.id)


def stay(backend, include_start_attempt, job):
    """Where moto would call the job done."""
    backend.backend._jobs[job.job_id] = job
    job.log_stream_name = f"shard/default/{job.job_id}"
    job.status = "RUNNABLE"


def install(service_role):
    default_user_config["batch"] = {"use_docker": False}
    BatchSimpleBackend._mark_job_as_finished = stay
    emr_serverless.JOB_STATUS = "SUBMITTED"
    create = ComputeEnvironment.create_from_cloudformation_json.__func__

    def with_role(cls, name, resource, account, region, **more):
        # AWS takes its own role where none is named; moto wants one.
        resource["Properties"].setdefault("ServiceRole", service_role)
        return create(cls, name, resource, account, region, **more)

    ComputeEnvironment.create_from_cloudformation_json = classmethod(with_role)

    parameters = Stack.parameter_list.fget

    def in_words(stack):
        """Lists as AWS shows them, and takes them; moto shows Python's."""
        given = parameters(stack)
        for each in given:
            value = each["ParameterValue"]
            each["ParameterValue"] = ",".join(value) if isinstance(value, list) else str(value)
        return given

    Stack.parameter_list = property(in_words)
    ElasticMapReduceResponse.cancel_steps = cancel_steps


def cancel_steps(response):
    """What moto's EMR has not."""
    wanted = response._get_param("StepIds")
    for step in response.backend.clusters[response._get_param("ClusterId")].steps:
        if step.id in wanted:
            step.state = "CANCELLED"
    return ActionResult({"CancelStepsInfoList": []})


def listed_as_deleted(name):
    """A context in which a resource has gone from the stack, which AWS still lists."""
    listing = CloudFormationResponse.list_stack_resources

    def list_stack_resources(response):
        answer = listing(response)
        for each in answer._result["StackResourceSummaries"]:
            if each["LogicalResourceId"] == name:
                each["ResourceStatus"] = "DELETE_COMPLETE"
        return answer

    return mock.patch.object(CloudFormationResponse, "list_stack_resources", list_stack_resources)


class Workers(threading.Thread):
    """Stands in for the machines: takes what is to be done to its end.

    `work(job)` does what the job would, and returns its last state, or None: it goes on.
    """

    def __init__(self, aws, work):
        super().__init__(daemon=True)
        self.aws = aws
        self.work = work
        self.over = threading.Event()

    def look(self):
        raise NotImplementedError

    def run(self):
        while not self.over.is_set():
            self.look()
            time.sleep(0.05)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.over.set()
        self.join()


class ClusterNodes(Workers):
    """Each step to its end at once, which `work` returns."""

    def look(self):
        for cluster in self.aws.clusters():
            for step in list(cluster.steps):
                if step.state in ("PENDING", "RUNNING"):
                    self.log(cluster, step, "INFO first line\n")
                    time.sleep(0.3)
                    self.log(cluster, step, "INFO first line\nINFO last line\n")
                    step.state = self.work(step)

    def log(self, cluster, step, text):
        key = f"pomona/logs/{cluster.id}/steps/{step.id}/stderr.gz"
        self.aws.put("results", key, gzip.compress(text.encode()))


class ServerlessWorkers(Workers):
    def look(self):
        for runs in list(self.aws.behind("emr-serverless").job_runs.values()):
            for job in runs:
                if job.state in ("SUBMITTED", "RUNNING"):
                    job.state = self.work(job) or "RUNNING"


class BatchMachines(Workers):
    """Children of an array one after the other; what depends on others, once they have ended."""

    def look(self):
        jobs = self.aws.behind("batch")._jobs
        for job in list(jobs.values()):
            if job.job_stopped:
                continue
            before = [jobs[each["jobId"]] for each in job.depends_on or []]
            if job.stop or any(other.status == "FAILED" for other in before):
                job.job_stopped_reason = job.job_stopped_reason or "Dependent Job failed"
                job._mark_stopped(success=False)
            elif all(other.status == "SUCCEEDED" for other in before):
                self.go_on(job)

    def go_on(self, job):
        if job._child_jobs:
            states = {child.status for child in job._child_jobs}
            if states <= {"SUCCEEDED", "FAILED"}:
                job._mark_stopped(success=states == {"SUCCEEDED"})
            return
        job.status = "RUNNING"
        if state := self.work(job):
            job._mark_stopped(success=state == "SUCCEEDED")


def log(aws, job, *lines):
    """As Docker's driver does for a container's standard output and error."""
    group = "/pomona/pomona-batch"
    aws.logs.create_log_stream(logGroupName=group, logStreamName=job.log_stream_name)
    now = int(time.time() * 1000)
    events = [{"timestamp": now, "message": line} for line in lines if line]
    aws.logs.put_log_events(logGroupName=group, logStreamName=job.log_stream_name, logEvents=events)

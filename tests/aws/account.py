"""An AWS account of moto's, and a wheel for its machines."""

import contextlib
import io
import os
import pathlib
import runpy
import signal
import subprocess
import sys
import time
import zipfile
from unittest import mock

import boto3

ROOT = pathlib.Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy" / "aws"
REGION = "eu-west-1"
TAG = {"Key": "for-use-with-amazon-emr-managed-policies", "Value": "true"}
WHEEL = "pomona-0.1.0-cp311-cp311-manylinux_2_34_x86_64.whl"
JOB = "# the job\n"
# Seconds after which the script hangs.
HANGS = 300


def make_wheel(folder, name=WHEEL):
    """A wheel of the real one's shape, small, with a program that says its version."""
    info = "pomona-0.1.0.dist-info"
    files = {
        "pomona/__init__.py": "import pyarrow\ndef main():\n    print('pomona 0.1.0')\n",
        "pomona/spark_job.py": JOB,
        f"{info}/METADATA": "Metadata-Version: 2.1\nName: pomona\nVersion: 0.1.0\n"
        "Requires-Dist: pyarrow>=26.0.1,<27\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: false\n"
        "Tag: cp311-cp311-manylinux_2_34_x86_64\n",
        f"{info}/entry_points.txt": "[console_scripts]\npomona = pomona:main\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    wheel = folder / name
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return wheel


def hangs(*_):
    raise TimeoutError(f"the script has not ended in {HANGS} s")


def without_none(value):
    """Without what AWS::NoValue stands for, which moto leaves in lists."""
    if isinstance(value, dict):
        return {name: without_none(each) for name, each in value.items()}
    return [each for each in value if each is not None] if isinstance(value, list) else value


class Aws:
    """moto's server, its state for those who look behind it, and clients that do not."""

    def __init__(self, url):
        self.access = {
            "endpoint_url": url,
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
        }
        self.environment = {
            name: value for name, value in os.environ.items() if not name.startswith("AWS_")
        }
        self.environment |= {
            "AWS_ENDPOINT_URL": url,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": REGION,
            "AWS_CONFIG_FILE": "/nowhere",
            "NO_PROXY": "127.0.0.1",
        }

        def client(service):
            return boto3.client(service, region_name=REGION, **self.access)

        self.s3, self.ec2, self.iam = client("s3"), client("ec2"), client("iam")
        self.cloudformation, self.logs = client("cloudformation"), client("logs")

    @staticmethod
    def behind(service):
        """moto's own state of a service; another object after each reset."""
        from moto.backends import get_backend
        from moto.core import DEFAULT_ACCOUNT_ID

        return get_backend(service)[DEFAULT_ACCOUNT_ID][REGION]

    def make_bucket(self, name, region=REGION):
        s3 = self.s3 if region == REGION else boto3.client("s3", region_name=region, **self.access)
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": region})

    def put(self, bucket, key, body=b"x"):
        self.s3.put_object(Bucket=bucket, Key=key, Body=body)

    def keys(self, bucket):
        listing = self.s3.list_objects_v2(Bucket=bucket)
        return [thing["Key"] for thing in listing.get("Contents", [])]

    def prepare_network(self):
        """Tags as a user would who follows the script's advice, and EMR's groups as EMR does."""
        [vpc] = [vpc["VpcId"] for vpc in self.ec2.describe_vpcs()["Vpcs"]]
        resources = [
            vpc,
            *(subnet["SubnetId"] for subnet in self.ec2.describe_subnets()["Subnets"]),
        ]
        for role in ["Master-Private", "Slave-Private", "ServiceAccess"]:
            group = self.ec2.create_security_group(
                GroupName=f"ElasticMapReduce-{role}", Description=role, VpcId=vpc
            )
            resources.append(group["GroupId"])
        self.ec2.create_tags(Resources=resources, Tags=[TAG])

    def start(self, *arguments):
        command = [sys.executable, str(DEPLOY), *map(str, arguments)]
        return subprocess.Popen(
            command,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait(self, process, there):
        deadline = time.monotonic() + 60
        while not there():
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.05)

    def cut_off(self, wait, *arguments):
        """Starts the script, and kills it once `wait(aws, process)` has seen its job."""
        process = self.start(*arguments)
        wait(self, process)
        process.kill()
        process.communicate()

    def taken_up(self, name, workers, *arguments):
        """Runs the script, whose job is on already and is worked on once the script says so."""
        process = self.start(*arguments)
        while f"{name} is on already" not in process.stderr.readline():
            assert process.poll() is None
        with workers:
            _, errors = process.communicate(timeout=60)
        assert process.returncode == 0, errors

    def deploy(self, *arguments):
        """Runs the script to its end, in this process: (exit code, standard output and error)."""
        output, errors = io.StringIO(), io.StringIO()
        terminate = signal.getsignal(signal.SIGTERM)
        with (
            mock.patch.dict(os.environ, self.environment, clear=True),
            mock.patch.object(sys, "argv", ["deploy/aws", *map(str, arguments)]),
            contextlib.redirect_stdout(output),
            contextlib.redirect_stderr(errors),
        ):
            signal.signal(signal.SIGALRM, hangs)
            signal.alarm(HANGS)
            try:
                runpy.run_path(str(DEPLOY), run_name="__main__")
            except SystemExit as end:
                code = end.code
            finally:
                signal.alarm(0)
                signal.signal(signal.SIGTERM, terminate)
        return code, output.getvalue(), errors.getvalue()

    def roles(self):
        return [role["RoleName"] for role in self.iam.list_roles()["Roles"]]

    def stacks(self):
        return [stack["StackName"] for stack in self.cloudformation.describe_stacks()["Stacks"]]

    def asked(self, resource):
        """A resource's properties as the template resolves; moto's services keep few of them."""
        from moto.cloudformation.parsing import clean_json

        [stack] = self.behind("cloudformation").stacks.values()
        resources = stack.resource_map
        return without_none(clean_json(resources._resource_json_map[resource], resources))[
            "Properties"
        ]

    def clusters(self):
        return list(self.behind("emr").clusters.values())

"""The template by CloudFormation's own rules, and what it makes of the roles and of Spark."""

import importlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import boto3
import pytest
import servers
from account import DEPLOY, REGION, ROOT, TAG

RUN = ["s3://images/fruits", "s3://results/out", "mini", "5", "--keep", "--poll", "0.1"]


def assert_clean(tool, *arguments):
    beside = pathlib.Path(sys.executable).parent / tool
    tool = beside if beside.exists() else shutil.which(tool)
    if not tool:
        pytest.skip(f"no {tool}")
    found = subprocess.run([tool, *arguments], capture_output=True, text=True, check=False)
    assert (found.returncode, found.stdout) == (0, ""), found.stderr


WAYS = ["cluster", "serverless", "batch"]


def template(way):
    """As the script sends it."""
    if str(DEPLOY) not in sys.path:
        sys.path.append(str(DEPLOY))
    return importlib.import_module("pomona_aws.template").template(way)


def test_cfn_lint(tmp_path):
    for way in WAYS:
        (tmp_path / f"{way}.json").write_text(json.dumps(template(way)))
    paths = [tmp_path / f"{way}.json" for way in WAYS]
    assert_clean("cfn-lint", "--regions", "eu-west-1", "us-east-1", "--", *paths)


# What has to be allowed without a resource: metrics have none.
EVERYWHERE = {("cluster", "MetricsPolicy")}


@pytest.mark.parametrize("way", WAYS)
def test_roles_are_narrow(way):
    """What linters of roles ask: no wildcards of actions or of resources, no exceptions."""
    for name, resource in template(way)["Resources"].items():
        about = resource["Properties"]
        policies = [each["PolicyDocument"] for each in about.get("Policies", [])]
        policies += [about["PolicyDocument"]] if "PolicyDocument" in about else []
        for statement in (each for policy in policies for each in policy["Statement"]):
            assert statement["Effect"] == "Allow" and not {"NotAction", "NotResource"} & {
                *statement
            }
            actions = statement["Action"]
            for action in [actions] if isinstance(actions, str) else actions:
                assert action.split(":")[1].strip("*") and not action.endswith(":*")
            assert statement["Resource"] != "*" or (way, name) in EVERYWHERE
        if resource["Type"] == "AWS::IAM::Role":
            for trust in about["AssumeRolePolicyDocument"]["Statement"]:
                service = trust["Principal"]["Service"]
                # Nobody else's service may take the role; EC2's instances have profiles instead.
                assert "Condition" in trust or service == "ec2.amazonaws.com"


def test_lifecycle_is_a_buckets(aws):
    """The document that docs/aws.md sets, by botocore's model and moto's."""
    rules = json.loads((DEPLOY / "lifecycle.json").read_text())
    aws.s3.put_bucket_lifecycle_configuration(Bucket="results", LifecycleConfiguration=rules)
    got = aws.s3.get_bucket_lifecycle_configuration(Bucket="results")["Rules"]
    assert [rule["ID"] for rule in got] == ["pomona-artifacts-and-logs", "uploads-that-broke-off"]


def test_emr_serverless_may_pull_the_image(aws):
    """The repository's policy that docs/aws.md sets, by moto's and as JSON."""
    document = (ROOT / "docs/aws.md").read_text()
    [policy] = re.findall(r"set-repository-policy .* --policy-text '([^']*)'", document)
    ecr = boto3.client("ecr", region_name=REGION, **aws.access)
    ecr.create_repository(repositoryName="pomona")
    answer = ecr.set_repository_policy(repositoryName="pomona", policyText=policy)
    [statement] = json.loads(answer["policyText"])["Statement"]
    assert statement["Principal"] == {"Service": "emr-serverless.amazonaws.com"}
    pull = {"BatchGetImage", "DescribeImages", "GetDownloadUrlForLayer"}
    assert {*statement["Action"]} == {f"ecr:{action}" for action in pull}


BOOTSTRAP = DEPLOY / "bootstrap.sh"


def test_shellcheck():
    assert_clean("shellcheck", BOOTSTRAP)


@pytest.fixture
def keep(aws, job, wheel):
    """keep(*options) makes a stack that stays and returns what it asked of EMR."""

    def keep(*options):
        with job(lambda _: "COMPLETED"):
            code, _, errors = aws.deploy("cluster", "run", *RUN, "--wheel", wheel, *options)
        assert code == 0, errors
        return aws.asked("Cluster")

    return keep


def of(configurations):
    """Properties by classification."""
    return {
        each["Classification"]: each.get("ConfigurationProperties")
        or of(each.get("Configurations", []))
        for each in configurations
    }


def test_the_originals_cluster(keep):
    asked = keep()
    assert asked["ReleaseLabel"] == "emr-7.11.0"
    instances = asked["Instances"]
    primary, core = instances["MasterInstanceGroup"], instances["CoreInstanceGroup"]
    assert (primary["InstanceCount"], primary["InstanceType"]) == (1, "m5.2xlarge")
    assert (int(core["InstanceCount"]), core["InstanceType"]) == (2, "m5.2xlarge")
    assert core["Market"] == "ON_DEMAND"
    assert "Ec2KeyName" not in instances and "ManagedScalingPolicy" not in asked
    [bootstrap] = asked["BootstrapActions"]
    [artifacts] = bootstrap["ScriptBootstrapAction"]["Args"]
    assert bootstrap["ScriptBootstrapAction"]["Path"] == f"{artifacts}/bootstrap.sh"
    assert artifacts.startswith("s3://results/pomona/artifacts/")
    assert asked["LogUri"] == "s3://results/pomona/logs/"
    assert TAG in asked["Tags"]
    assert "TaskInstanceGroups" not in instances
    configurations = of(asked["Configurations"])
    assert {*configurations} == {"spark-defaults", "hdfs-site"}
    assert "gpu" not in str(configurations)
    assert asked["Applications"] == [{"Name": "Spark"}]


def test_options_of_the_cluster(aws, keep):
    asked = keep(
        *("--set", "CoreMarket=SPOT", "--set", "ScalingLimit=6", "--set", "KeyName=me"),
        *("--set", "TaskInstanceCount=2", "--set", "Metrics=yes"),
        *("--set", "DiskKeyArn=arn:aws:kms:eu-west-1:1:key/2", "--set", "IdleTimeout=60"),
    )
    assert asked["Instances"]["CoreInstanceGroup"]["Market"] == "SPOT"
    [task] = asked["Instances"]["TaskInstanceGroups"]
    assert (int(task["InstanceCount"]), task["Market"]) == (2, "SPOT")
    # What managed scaling adds are task nodes.
    assert int(asked["ManagedScalingPolicy"]["ComputeLimits"]["MaximumCoreCapacityUnits"]) == 2
    assert {"Name": "AmazonCloudWatchAgent"} in asked["Applications"]
    [metrics] = [
        each for each in asked["Configurations"] if each["Classification"] == "emr-metrics"
    ]
    assert metrics["Configurations"][0]["Classification"] == "emr-system-metrics"
    assert asked["Instances"]["Ec2KeyName"] == "me"
    limits = asked["ManagedScalingPolicy"]["ComputeLimits"]
    assert [int(limits[f"{end}imumCapacityUnits"]) for end in ("Min", "Max")] == [2, 6]
    assert int(asked["AutoTerminationPolicy"]["IdleTimeout"]) == 60
    security = aws.asked("SecurityConfiguration")["SecurityConfiguration"]
    disk = security["EncryptionConfiguration"]["AtRestEncryptionConfiguration"]
    assert disk["LocalDiskEncryptionConfiguration"]["AwsKmsKey"].endswith("key/2")
    policy = aws.asked("DiskKeyPolicy")
    assert len(policy["Roles"]) == 2 and policy["PolicyDocument"]["Statement"][0]["Resource"] == (
        "arn:aws:kms:eu-west-1:1:key/2"
    )


def test_gpus(keep):
    """What EMR's manual asks for, of EMR 7; test_cluster.py has what the account must allow."""
    asked = keep("--set", "CoreInstanceType=g4dn.2xlarge", "--set", "TaskGpus=0.25")
    [bootstrap] = asked["BootstrapActions"]
    assert bootstrap["ScriptBootstrapAction"]["Args"][1:] == ["gpu"]
    configurations = of(asked["Configurations"])
    defaults = configurations["spark-defaults"]
    assert float(defaults["spark.task.resource.gpu.amount"]) == 0.25
    assert defaults["spark.executor.resource.gpu.amount"] == "1"
    assert configurations["spark"] == {"enableSparkRapids": "true"}
    yarn, executor = configurations["yarn-site"], configurations["container-executor"]
    assert yarn["yarn.resource-types"] == "yarn.io/gpu"
    assert executor["gpu"] == {"module.enabled": "true"}
    # One folder, which the bootstrap makes.
    folder = executor["cgroups"]["root"]
    assert yarn["yarn.nodemanager.linux-container-executor.cgroups.mount-path"] == folder
    assert f"mount -t cgroup -o devices cgroup {folder}/devices" in BOOTSTRAP.read_text()
    calculator = "yarn.scheduler.capacity.resource-calculator"
    assert configurations["capacity-scheduler"][calculator].endswith("DominantResourceCalculator")


ALLOWED = [
    ("s3:ListBucket", "images"),
    ("s3:ListBucket", "results"),
    ("s3:GetObject", "images/fruits"),
    ("s3:GetObject", "images/fruits/Training/Apple/1.jpg"),
    ("s3:GetObject", "results/pomona/artifacts/{digest}/bootstrap.sh"),
    ("s3:PutObject", "results/out/pca/csv/pca_1/_SUCCESS"),
    ("s3:DeleteObject", "results/out/_pomona/x"),
    ("s3:PutObject", "results/out/"),
    ("s3:PutObject", "results/above/"),
    ("s3:PutObject", "results/pomona/logs/j-1/steps/s-1/stderr.gz"),
]
DENIED = [
    ("s3:GetObject", "images/fruits2/1.jpg"),
    ("s3:GetObject", "images/secret"),
    ("s3:PutObject", "images/fruits/1.jpg"),
    ("s3:PutObject", "images/fruits/"),
    ("s3:DeleteObject", "images/fruits/1.jpg"),
    ("s3:ListBucket", "elsewhere"),
    ("s3:GetObject", "results/secret"),
    ("s3:PutObject", "results/outside/x"),
    ("s3:DeleteObject", "results/above/"),
    ("s3:PutObject", "results/pomona/artifacts/{digest}/bootstrap.sh"),
    ("s3:GetObject", "results/pomona/artifacts/other/weights"),
    ("s3:GetObject", "results/pomona/logs/j-1/steps/s-1/stderr.gz"),
    ("s3:PutBucketPolicy", "results"),
    ("iam:PassRole", "results"),
]


def test_nodes_reach_what_they_need_and_nothing_else(aws, keep):
    """By moto's evaluation of the policy."""
    from moto.iam.access_control import IAMPolicy, PermissionResult

    [bootstrap] = keep()["BootstrapActions"]
    digest = bootstrap["ScriptBootstrapAction"]["Args"][0].rpartition("/")[2]
    assert not {"ManagedPolicyArns", "Policies"} & {*aws.asked("JobRole")}
    evaluated = IAMPolicy(json.dumps(aws.asked("Storage")["PolicyDocument"]))

    def permitted(action, path):
        resource = f"arn:aws:s3:::{path.format(digest=digest)}"
        return evaluated.is_action_permitted(action, resource) == PermissionResult.PERMITTED

    assert [each for each in ALLOWED if not permitted(*each)] == []
    assert [each for each in DENIED if permitted(*each)] == []


ROLE = "arn:aws:iam::123456789012:role/pomona-cluster-JobRole-1X"
STACK = "arn:aws:cloudformation:eu-west-1:123456789012:stack/pomona-cluster/0f"
OPERATOR = {
    # What the script calls,
    "cloudformation:CreateStack": STACK,
    "cloudformation:DeleteStack": STACK,
    "cloudformation:DescribeStacks": STACK,
    "cloudformation:DescribeStackEvents": STACK,
    "cloudformation:ListStackResources": STACK,
    "ec2:DescribeInstanceTypes": "*",
    "ec2:DescribeSecurityGroups": "*",
    "ec2:DescribeSubnets": "*",
    "ec2:DescribeTags": "*",
    "elasticmapreduce:AddJobFlowSteps": "*",
    "elasticmapreduce:CancelSteps": "*",
    "elasticmapreduce:DescribeCluster": "*",
    "elasticmapreduce:DescribeStep": "*",
    "elasticmapreduce:ListClusters": "*",
    "elasticmapreduce:ListSteps": "*",
    "emr-serverless:GetApplication": "*",
    "emr-serverless:ListApplications": "*",
    "emr-serverless:StopApplication": "*",
    "emr-serverless:StartJobRun": "*",
    "emr-serverless:GetJobRun": "*",
    "emr-serverless:ListJobRuns": "*",
    "emr-serverless:CancelJobRun": "*",
    "batch:SubmitJob": "*",
    "batch:DescribeJobs": "*",
    "batch:ListJobs": "*",
    "batch:TerminateJob": "*",
    "logs:FilterLogEvents": "arn:aws:logs:eu-west-1:123456789012:log-group:/pomona/pomona-batch:*",
    "iam:GetRole": "arn:aws:iam::123456789012:role/aws-service-role/spot.amazonaws.com/X",
    "servicequotas:GetServiceQuota": "*",
    "ec2:DescribeInstances": "*",
    "s3:ListBucket": "arn:aws:s3:::images",
    "s3:GetObject": "arn:aws:s3:::results/fruits/run_info/run_info_1/part-00000.json",
    "s3:PutObject": "arn:aws:s3:::results/pomona/artifacts/1/bootstrap.sh",
    # what its documents tell to call,
    "ec2:CreateTags": "arn:aws:ec2:eu-west-1:123456789012:vpc/vpc-1",
    "s3:PutLifecycleConfiguration": "arn:aws:s3:::results",
    "s3:DeleteObject": "arn:aws:s3:::results/pomona/logs/1",
    # and what CloudFormation calls for it.
    "iam:CreateRole": ROLE,
    "iam:PassRole": ROLE,
    "elasticmapreduce:RunJobFlow": "*",
    "elasticmapreduce:TerminateJobFlows": "*",
    "emr-serverless:CreateApplication": "*",
    "emr-serverless:DeleteApplication": "*",
    "batch:CreateComputeEnvironment": "*",
    "batch:RegisterJobDefinition": "*",
    "ec2:CreateLaunchTemplate": "arn:aws:ec2:eu-west-1:123456789012:launch-template/lt-1",
    "logs:CreateLogGroup": "arn:aws:logs:eu-west-1:123456789012:log-group:/pomona/pomona-batch:*",
}
NOT_FOR_OPERATORS = [
    ("iam:CreateRole", "arn:aws:iam::123456789012:role/admin"),
    ("iam:PassRole", "arn:aws:iam::123456789012:role/admin"),
    ("iam:CreateUser", "*"),
    ("cloudformation:DeleteStack", STACK.replace("pomona-", "other-")),
    ("s3:GetObject", "arn:aws:s3:::images/fruits/1.jpg"),
    ("s3:DeleteObject", "arn:aws:s3:::results/fruits/run_info/x"),
    ("ec2:RunInstances", "*"),
    ("logs:FilterLogEvents", "arn:aws:logs:eu-west-1:123456789012:log-group:/aws/lambda/x:*"),
]


def test_operators_policy():
    """By moto's evaluation of it; the actions are those of the script and of the template."""
    from moto.iam.access_control import IAMPolicy, PermissionResult

    text = (DEPLOY / "operator.json").read_text()
    for name, value in {
        "ACCOUNT": "123456789012",
        "INPUT-BUCKET": "images",
        "OUTPUT-BUCKET": "results",
    }.items():
        assert name in text
        text = text.replace(name, value)
    evaluated = IAMPolicy(text)

    def permitted(action, resource):
        return evaluated.is_action_permitted(action, resource) == PermissionResult.PERMITTED

    assert [each for each in OPERATOR.items() if not permitted(*each)] == []
    assert [each for each in NOT_FOR_OPERATORS if permitted(*each)] == []


def test_emr_may_hand_out_the_nodes_role_only(aws, keep):
    keep()
    role = aws.asked("ServiceRole")
    [managed] = role["ManagedPolicyArns"]
    assert managed == "arn:aws:iam::aws:policy/service-role/AmazonEMRServicePolicy_v2"
    [policy] = role["Policies"]
    [statement] = policy["PolicyDocument"]["Statement"]
    [node] = [role for role in aws.iam.list_roles()["Roles"] if "JobRole" in role["RoleName"]]
    assert (statement["Action"], statement["Resource"]) == ("iam:PassRole", node["Arn"])


def test_spark_takes_the_configuration(aws, keep, tmp_path):
    """Spark itself reads the template's defaults and starts its workers by the named Python."""
    spark_python = pathlib.Path(os.environ.get("POMONA_PYTHON", ""))
    submit = spark_python.parent / "spark-submit"
    if not submit.is_file():
        pytest.skip("POMONA_PYTHON does not name a Python that has PySpark")
    if not shutil.which("java"):
        pytest.skip("no Java runtime for PySpark")
    [defaults] = [
        configuration["ConfigurationProperties"]
        for configuration in keep()["Configurations"]
        if configuration["Classification"] == "spark-defaults"
    ]
    # On a node this is the virtual environment's; here a script whose workers can be told by it.
    python = tmp_path / "python-of-the-nodes"
    python.write_text(f'#!/bin/sh\nPOMONA_PYTHON=yes exec {spark_python} "$@"\n')
    python.chmod(0o755)
    assert defaults["spark.pyspark.python"] == "/opt/pomona/venv/bin/python"
    defaults |= {"spark.pyspark.python": python, "spark.ui.port": servers.free_ports(1)[0]}
    # YARN's business; one process has no shuffle service.
    assert defaults.pop("spark.dynamicAllocation.enabled") == "true"
    properties = tmp_path / "spark-defaults.conf"
    properties.write_text("".join(f"{name} {value}\n" for name, value in defaults.items()))
    job = tmp_path / "job.py"
    job.write_text(
        "import json, os, urllib.request\n"
        "from pyspark.sql import SparkSession\n"
        "spark = SparkSession.builder.getOrCreate()\n"
        "def name(_):\n"
        "    return os.environ.get('POMONA_PYTHON')\n"
        "names = spark.sparkContext.parallelize([1], 1).map(name).collect()\n"
        "conf = spark._jsc.sc().conf()\n"
        "settings = ['spark.executor.memoryOverhead', 'spark.executor.memory']\n"
        "sizes = [conf.getSizeAsMb(setting) for setting in settings]\n"
        "def get(path):\n"
        "    return urllib.request.urlopen(spark.sparkContext.uiWebUrl + path).read().decode()\n"
        "texts = [get('/metrics/prometheus/'), get('/metrics/executors/prometheus/')]\n"
        "print(json.dumps([names, sizes, texts]))\n"
    )
    done = subprocess.run(
        [submit, "--master", "local[1]", "--properties-file", properties, job],
        capture_output=True,
        text=True,
        check=False,
        env={
            **aws.environment,
            "PATH": f"{spark_python.parent}:{aws.environment['PATH']}",
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
    )
    assert done.returncode == 0, done.stderr
    assert "WARN SparkConf" not in done.stderr and " INFO " not in done.stderr.split("WARN")[-1]
    names, (overhead, heap), (driver, executors) = json.loads(done.stdout)
    # What Prometheus would read: the servlet's metrics, and the executors'.
    assert re.search(r"^metrics_\w+_driver_DAGScheduler_job_allJobs_Value\{.*\} \d", driver, re.M)
    assert re.search(r"^metrics_executor_totalTasks_total\{.*\} 1$", executors, re.M)
    assert names == ["yes"]
    # Two executors and an application master of 1 GiB in the 24 GiB that EMR gives to YARN.
    assert 2 * (overhead + heap) + 1024 <= 24576

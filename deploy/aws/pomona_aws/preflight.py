"""What a run needs of the account, looked at before anything is made."""

from botocore.exceptions import ClientError

from . import Failure

# EMR's managed policy works only on network resources that carry this tag.
NETWORK_TAG = "for-use-with-amazon-emr-managed-policies"
EMR_SECURITY_GROUPS = [
    "ElasticMapReduce-master",
    "ElasticMapReduce-slave",
    "ElasticMapReduce-Master-Private",
    "ElasticMapReduce-Slave-Private",
    "ElasticMapReduce-ServiceAccess",
]

MACHINES = {"x86_64": "x86_64", "arm64": "aarch64"}
QUOTAS = {
    "L-1216C47A": ("ec2", "vCPUs on demand"),
    "L-34B43A08": ("ec2", "vCPUs on Spot"),
    "L-DB2E81BA": ("ec2", "vCPUs of G instances on demand"),
    "L-3819A6DF": ("ec2", "vCPUs of G instances on Spot"),
    "L-D05C8A75": ("emr-serverless", "vCPUs of EMR Serverless"),
}


def check_bucket(aws, bucket):
    try:
        answer = aws.client("s3").head_bucket(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = {"404": "does not exist", "403": "is not yours to read"}.get(code, f"gives {code}")
        raise Failure(f"bucket {bucket} {reason}") from error
    region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", aws.region)
    if region != aws.region:
        raise Failure(f"bucket {bucket} is in {region}, the job in {aws.region}: see --region")


def find_subnets(aws, wanted):
    """The subnets that are wanted, or those of the default VPC, and their VPC."""
    if wanted:
        subnets = aws.client("ec2").describe_subnets(SubnetIds=wanted)["Subnets"]
    else:
        of_default_vpc = [{"Name": "default-for-az", "Values": ["true"]}]
        subnets = aws.client("ec2").describe_subnets(Filters=of_default_vpc)["Subnets"]
        subnets.sort(key=lambda subnet: subnet["AvailabilityZone"])
    if not subnets:
        raise Failure(f"{aws.region} has no default VPC: name a subnet with --subnet")
    return [subnet["SubnetId"] for subnet in subnets], subnets[0]["VpcId"]


def security_groups(aws, vpc, *names):
    """Those of these names that the VPC has."""
    found = aws.client("ec2").describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": names},
        ]
    )
    return [group["GroupId"] for group in found["SecurityGroups"]]


def check_tags(aws, resources):
    tags = aws.client("ec2").describe_tags(
        Filters=[
            {"Name": "resource-id", "Values": sorted(resources)},
            {"Name": "key", "Values": [NETWORK_TAG]},
            {"Name": "value", "Values": ["true"]},
        ]
    )["Tags"]
    untagged = sorted(resources - {tag["ResourceId"] for tag in tags})
    if untagged:
        raise Failure(
            f"EMR may not use {', '.join(untagged)} without a tag. If it should:\n"
            f"  aws ec2 create-tags --region {aws.region} --resources {' '.join(untagged)}"
            f" --tags Key={NETWORK_TAG},Value=true"
        )


def instance_types(aws, names):
    try:
        answer = aws.client("ec2").describe_instance_types(InstanceTypes=sorted(set(names)))
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceType":
            raise
        raise Failure(f"{aws.region}: {error.response['Error']['Message']}") from error
    return {about["InstanceType"]: about for about in answer["InstanceTypes"]}


def machines(aws, names):
    """The processors of these instance types, as wheels call them."""
    return sorted(
        {
            MACHINES[architecture]
            for about in instance_types(aws, names).values()
            for architecture in about["ProcessorInfo"]["SupportedArchitectures"]
            if architecture in MACHINES
        }
    )


def quota_of(instance_type, market):
    """The code of the quota that such an instance counts towards."""
    of_gpus = instance_type.startswith("g")
    if market == "SPOT":
        return "L-3819A6DF" if of_gpus else "L-34B43A08"
    return "L-DB2E81BA" if of_gpus else "L-1216C47A"


def check_quota(aws, code, vcpus):
    """A note; refuses more vCPUs at once than the account may have."""
    service, what = QUOTAS[code]
    try:
        answer = aws.client("service-quotas").get_service_quota(ServiceCode=service, QuotaCode=code)
    except ClientError as error:
        return f"NOT checked: the quota of {what} ({error.response['Error']['Code']})"
    allowed = answer["Quota"]["Value"]
    if vcpus > allowed:
        raise Failure(
            f"{vcpus} {what} are more than the account's quota of {allowed:g}: take fewer, or\n"
            f"  aws service-quotas request-service-quota-increase --region {aws.region}"
            f" --service-code {service} --quota-code {code} --desired-value {vcpus}"
        )
    return f"{vcpus} of {allowed:g} {what}"

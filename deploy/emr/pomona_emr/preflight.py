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


def check_bucket(aws, bucket):
    try:
        answer = aws.s3.head_bucket(Bucket=bucket)
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reason = {"404": "does not exist", "403": "is not yours to read"}.get(code, f"gives {code}")
        raise Failure(f"bucket {bucket} {reason}") from error
    region = answer["ResponseMetadata"]["HTTPHeaders"].get("x-amz-bucket-region", aws.region)
    if region != aws.region:
        raise Failure(f"bucket {bucket} is in {region}, the cluster in {aws.region}: see --region")


def find_subnet(aws, wanted):
    """The subnet that is wanted, or one of the default VPC, with the tags that EMR insists on."""
    if wanted:
        subnets = aws.ec2.describe_subnets(SubnetIds=[wanted])["Subnets"]
    else:
        of_default_vpc = [{"Name": "default-for-az", "Values": ["true"]}]
        subnets = aws.ec2.describe_subnets(Filters=of_default_vpc)["Subnets"]
        subnets.sort(key=lambda subnet: subnet["AvailabilityZone"])
        if not subnets:
            raise Failure(f"{aws.region} has no default VPC: name a subnet with --subnet")
    subnet, vpc = subnets[0]["SubnetId"], subnets[0]["VpcId"]
    check_tags(aws, {subnet, vpc, *security_groups(aws, vpc)})
    return subnet


def security_groups(aws, vpc):
    """EMR's own groups in the VPC, as far as earlier clusters have left them there."""
    found = aws.ec2.describe_security_groups(
        Filters=[
            {"Name": "vpc-id", "Values": [vpc]},
            {"Name": "group-name", "Values": EMR_SECURITY_GROUPS},
        ]
    )
    return [group["GroupId"] for group in found["SecurityGroups"]]


def check_tags(aws, resources):
    tags = aws.ec2.describe_tags(
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


def machines(aws, instance_types):
    """The processors of the nodes, as wheels call them."""
    try:
        answer = aws.ec2.describe_instance_types(InstanceTypes=sorted(set(instance_types)))
    except ClientError as error:
        if error.response["Error"]["Code"] != "InvalidInstanceType":
            raise
        raise Failure(f"{aws.region}: {error.response['Error']['Message']}") from error
    names = {"x86_64": "x86_64", "arm64": "aarch64"}
    return sorted(
        {
            names[architecture]
            for instance_type in answer["InstanceTypes"]
            for architecture in instance_type["ProcessorInfo"]["SupportedArchitectures"]
            if architecture in names
        }
    )

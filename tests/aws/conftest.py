"""An AWS of moto's, served over HTTP on loopback."""

import importlib.util
import urllib.request

import pytest

# `make test` runs these apart, in the environment of requirements/emr.txt.
if importlib.util.find_spec("moto") is None:
    collect_ignore_glob = ["test_*.py"]
else:
    import stand_ins
    from account import Aws, make_wheel


@pytest.fixture(scope="session")
def empty_aws():
    from moto.core.responses import BaseResponse
    from moto.emr.responses import ElasticMapReduceResponse
    from moto.server import ThreadedMotoServer

    # It looks for the region in the server's name, which here is none of AWS'.
    ElasticMapReduceResponse.get_region_from_url = BaseResponse.get_region_from_url
    stand_ins.install("arn:aws:iam::123456789012:role/AWSServiceRoleForBatch")
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield Aws(f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def aws(empty_aws):
    """An account with two buckets, five images and the tags that EMR's policy wants."""
    aws = empty_aws
    reset = urllib.request.Request(f"{aws.access['endpoint_url']}/moto-api/reset", method="POST")
    urllib.request.urlopen(reset).close()
    aws.make_bucket("images")
    aws.make_bucket("results")
    for number in range(5):
        aws.put("images", f"fruits/Training/Apple/{number}.jpg")
    aws.prepare_network()
    # What Spot and Batch were granted when the account first used them.
    for service in ("EC2Spot", "Batch"):
        aws.iam.create_role(RoleName=f"AWSServiceRoleFor{service}", AssumeRolePolicyDocument="{}")
    return aws


@pytest.fixture(scope="session")
def wheel(tmp_path_factory):
    return make_wheel(tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def job(aws):
    """job(work) is a context in which steps are worked on."""
    return lambda work: stand_ins.ClusterNodes(aws, work)

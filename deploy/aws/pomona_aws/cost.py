"""What a run would cost."""

from . import Failure
from .serverless import executors, memory
from .template import parameter_defaults

# US dollars an hour in eu-west-1, from AWS' list prices as known in mid-2025 and not looked up
# since (aws.amazon.com/ec2/pricing/on-demand, .../emr/pricing); --price replaces them.
PRICES = {
    # vCPUs; of the instance, for EC2 on demand; for EMR on top
    "m5.xlarge": (4, 0.214, 0.048),
    "m5.2xlarge": (8, 0.428, 0.096),
    "m5.4xlarge": (16, 0.856, 0.192),
    # a vCPU; a GiB
    "serverless-X86_64": (0.052624, 0.0057785),
    "serverless-ARM64": (0.042094, 0.004628),
    # a vCPU, EC2 on demand, of a machine with 2 GiB a vCPU
    "batch-x86_64": (0.0456,),
    "batch-arm64": (0.0365,),
}
PRICE_1000_GETS = 0.0004


def cluster(used, price, spot):
    """vCPUs that work, and dollars an hour."""
    _, *primary = price(used["PrimaryInstanceType"])
    vcpus, hourly = 0, sum(primary)
    for role, market in (("Core", used["CoreMarket"]), ("Task", "SPOT")):
        count = int(used[f"{role}InstanceCount"])
        vcpu, ec2, emr = price(used[f"{role}InstanceType"])
        vcpus += count * vcpu
        hourly += count * (ec2 * (spot if market == "SPOT" else 1) + emr)
    return vcpus, hourly


def serverless(used, price, _):
    vcpu, gib = price(f"serverless-{used['Architecture']}")
    count = executors(used)
    return 4 * count, (2 + 4 * count) * vcpu + memory(count) * gib


def batch(used, price, spot):
    (vcpu,) = price(f"batch-{used['Architecture']}")
    vcpus = int(used["MaxVcpus"]) // int(used["ShardVcpus"]) * int(used["ShardVcpus"])
    return vcpus, vcpus * vcpu * (spot if used["Market"] == "SPOT" else 1)


# Each with the minutes to start and stop, an assumption.
WAYS = {"cluster": (12, cluster), "serverless": (3, serverless), "batch": (6, batch)}
# The numbers of a price.
FORMS = {"cluster": "VCPUS,EC2,EMR", "serverless": "VCPU,GIB", "batch": "VCPU"}


def print_estimate(options):
    prices = PRICES | options.price

    def price(name):
        form = FORMS[options.way]
        numbers = prices.get(name, ())
        if len(numbers) != len(form.split(",")):
            raise Failure(f"no price of {name} of the form {form}: give --price {name}={form}")
        return numbers

    overhead, way = WAYS[options.way]
    overhead = options.overhead if options.overhead is not None else overhead
    used = parameter_defaults(options.way) | options.set
    vcpus, hourly = way(used, price, 1 - options.spot_discount)
    if not vcpus:
        raise Failure("no vCPU would work: see what --set and --price give")
    work = options.images / (options.rate * vcpus) / 60
    hours = (overhead + work) / 60
    requests = options.images / 1000 * PRICE_1000_GETS
    print(
        f"time     {overhead + work:10.1f} min"
        f"  ({overhead:g} to start and stop, {work:.1f} of work on {vcpus:g} vCPUs)\n"
        f"machines {hourly * hours:10.2f} USD  ({hourly:.3f} an hour)\n"
        f"requests {requests:10.2f} USD\n"
        f"total    {hourly * hours + requests:10.2f} USD  (eu-west-1; no volumes, no taxes)"
    )

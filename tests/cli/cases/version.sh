pomona version | sed 's/ .*//' | grep -v openvino | uniq  # devices may be many
echo "exit $?"

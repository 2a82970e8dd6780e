pomona version | sed 's/ .*//' | grep -v openvino
echo "exit $?"

pomona version | sed 's/ .*//'
echo "exit $?"

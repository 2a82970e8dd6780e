pomona --help && pomona run --help && pomona check --help && pomona weights --help &&
  pomona sample --help && pomona verify --help && pomona show --help && pomona delete --help &&
  pomona report --help
echo "exit $?"

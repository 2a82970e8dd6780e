# A run, what it leaves, and a second one beside it.
pomona sample tree --images 24
pomona run tree out --run-id first --pca-components 4
echo "exit $?"
pomona run tree out --run-id second --mode apples --pca-components 2 --formats parquet \
  --vectors spark --center --standardize --quiet
echo "exit $?"
find out -type f | LC_ALL=C sort
head -n 3 out/metadata/metadata_first/part-00000.csv
head -n 2 out/model_info/variance_first/part-00000.csv | cut -d, -f1

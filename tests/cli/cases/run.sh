# A run, what it leaves, others beside it, and what verify says of them.
pomona sample tree --images 24
pomona run tree out --run-id first --pca-components 4
echo "exit $?"
pomona run tree out --run-id second --mode apples --pca-components 2 --formats parquet \
  --vectors spark --center --standardize --quiet
echo "exit $?"
mkdir tree/Test tree/Validation
pomona run tree out --run-id third --pca-components 4 | grep "reused"
pomona verify out
echo "exit $?"
pomona verify out --run-id none
echo "exit $?"
find out -path '*_third' -prune -o -type f -print | LC_ALL=C sort
head -n 3 out/metadata/metadata_first/part-00000.csv
head -n 2 out/model_info/variance_first/part-00000.csv | cut -d, -f1

# Wrong usage: exit code 2 and a line that says what is wrong.
try() {
  pomona "$@"
  echo "exit $?"
}
try
try fly
try run
try run in
try run in out --mode tiny
try run in out --threads many
try run in out --threads -1
try run in out --formats xml
try run in out --vectors dense
try run in out --pca-components 0
try run in out --limit 0
try run in out --max-rejects 1.5
try run in out --include '[abc'
try run in out --exclude 'Kiwi/*' --exclude '[z-a]'
try run in out --run-id a/b
try run in out --progress loud
try weights
try sample
try sample dir --images 0
try run in out --engine tensorflow
try run in out --cpu mmx
try run gs://bucket/raw out
try run in gs://bucket/out
try run in s3://
# The other commands take what `run` takes.
try check s3://
try check in --stats full
try check in --threads -1
for command in verify show report audit 'delete --run-id ID' 'neighbours --image x'; do
  try $command s3://
done
try verify out --run-id demo/
try show out --run-id 'a b'
try report out --run-id ''
try delete out --run-id ''
try neighbours out --image x --run-id a/b
try neighbours out --image x -k ten
try neighbours out --image x --threads 2000
for near in 0 2 nan abc ''; do try audit out --near "$near"; done
for count in 0 -1 2.5 99999999999; do try audit out --knn $count --neighbours $count; done
for threads in -1 abc 2000; do
  try audit out --threads $threads
  try sample dir --threads $threads
done
try audit out --run-id ..//x
try sample dir --images many
try sample ''
try sample s3://bucket/in

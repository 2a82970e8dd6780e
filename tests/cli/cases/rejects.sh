# Bad files in a tree: counted, reported, refused where the user says so.
pomona sample tree --images 24
head -c 2000 "tree/Training/Lemon/0_100.jpg" > "tree/Training/Lemon/cut.jpg"
: > "tree/Training/Lemon/empty.jpg"
echo "a note" > "tree/Training/Lemon/notes.txt"
printf 'BM and so on' > "tree/Training/Lemon/picture.bmp"
pomona run tree out --run-id r --pca-components 4
echo "exit $?"
cut -d, -f2- out/errors/errors_r/part-00000.csv
pomona run tree out2 --run-id r --pca-components 4 --max-rejects 2
echo "exit $?"
ls out2
pomona run tree out2 --run-id r --pca-components 4 --max-rejects 20%
echo "exit $?"
ls out2

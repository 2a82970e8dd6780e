# What it did not write itself is left alone.
pomona sample tree --images 12
pomona sample tree --images 24
pomona sample tree --images 10
echo precious > "tree/Training/Banana/0_100.jpg"
pomona sample tree --images 36
echo "exit $?"
cat "tree/Training/Banana/0_100.jpg"
ls tree/Training/Banana

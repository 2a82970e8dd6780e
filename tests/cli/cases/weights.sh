# The build's weights are found beside the program.
pomona weights show | sed 's/^\(path\|origin\).*/\1 .../'
pomona weights show nowhere.safetensors
echo "exit $?"
echo "no HDF5" > model.h5
pomona weights import model.h5
echo "exit $?"
echo precious > mine.safetensors
pomona weights fetch --output mine.safetensors
echo "exit $?"
cat mine.safetensors

# cmake -DOUTPUT=FILE.cc -DNAMESPACE=n -DNAMES=a;b -DFILES=x,y;z -P Embed.cmake: texts as C++ strings,
# so that the program needs no files beside it. The files of one name, joined by commas, make one.
file(WRITE ${OUTPUT} "namespace ${NAMESPACE} {\n")
foreach(name files IN ZIP_LISTS NAMES FILES)
  file(APPEND ${OUTPUT} "extern const char ${name}[];\nconst char ${name}[] =")
  string(REPLACE "," ";" files "${files}")
  foreach(file ${files})
    file(READ ${file} text)
    file(APPEND ${OUTPUT} " R\"pomona(${text})pomona\"")
  endforeach()
  file(APPEND ${OUTPUT} ";\n")
endforeach()
file(APPEND ${OUTPUT} "}  // namespace ${NAMESPACE}\n")

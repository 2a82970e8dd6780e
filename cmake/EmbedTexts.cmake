# embed_texts(OUTPUT NAMESPACE namespace TEXTS NAME=FILE[,FILE...] ...): adds to the library the C++
# file OUTPUT, made in the current folder, with each text as a string of the namespace; see Embed.cmake.
# The files are given by their full paths.
function(embed_texts output)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "NAMESPACE" "TEXTS")
  set(names)
  set(files)
  set(sources)
  foreach(text ${arg_TEXTS})
    string(REGEX MATCH "^([^=]+)=(.+)$" _ ${text})
    list(APPEND names ${CMAKE_MATCH_1})
    list(APPEND files ${CMAKE_MATCH_2})
    string(REPLACE "," ";" parts ${CMAKE_MATCH_2})
    list(APPEND sources ${parts})
  endforeach()
  set(script ${CMAKE_SOURCE_DIR}/cmake/Embed.cmake)
  set(made ${CMAKE_CURRENT_BINARY_DIR}/${output})
  add_custom_command(
    OUTPUT ${made}
    COMMAND ${CMAKE_COMMAND} -DOUTPUT=${made} -DNAMESPACE=${arg_NAMESPACE} "-DNAMES=${names}"
      "-DFILES=${files}" -P ${script}
    DEPENDS ${sources} ${script}
    VERBATIM)
  target_sources(pomona PRIVATE ${made})
  # A target of another folder learns of it so.
  cmake_path(GET output STEM target)
  add_custom_target(${target} DEPENDS ${made})
  add_dependencies(pomona ${target})
  set_source_files_properties(${made} TARGET_DIRECTORY pomona PROPERTIES GENERATED TRUE)
endfunction()

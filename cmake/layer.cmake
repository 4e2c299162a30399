# netc_layer(NAME FOLDER SOURCE…): a static library whose headers are those of FOLDER, seen by whoever links it.
function(netc_layer name folder)
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/${folder})
  target_link_libraries(${name} PRIVATE netc_options)
endfunction()

# netc_embed(OUTPUT text SYMBOL FILE) or netc_embed(OUTPUT prelude FILE…): files become a C source, see tools/embed.c.
function(netc_embed output)
  set(files ${ARGN})
  list(FILTER files INCLUDE REGEX "/")
  get_filename_component(folder ${output} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${output} COMMAND embed ${ARGN} > ${output} DEPENDS embed ${files} VERBATIM)
  set_property(SOURCE ${output} PROPERTY COMPILE_OPTIONS -Wno-overlength-strings)
endfunction()

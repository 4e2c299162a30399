# netc_layer(NAME FOLDER SOURCE…): a static library whose headers are those of FOLDER, seen by whoever links it.
function(netc_layer name folder)
  if(NOT ARGN)
    file(CONFIGURE OUTPUT ${GENERATED}/empty/${name}.c CONTENT "typedef int ${name}_is_empty;\n")
    list(APPEND ARGN ${GENERATED}/empty/${name}.c)
  endif()
  add_library(${name} STATIC ${ARGN})
  target_include_directories(${name} PUBLIC ${PROJECT_SOURCE_DIR}/${folder})
  target_link_libraries(${name} PRIVATE netc_options)
endfunction()

# netc_embed(OUTPUT text|bytes SYMBOL FILE) or netc_embed(OUTPUT prelude FILE…): files become a C source, see tools/embed.c.
function(netc_embed output)
  set(files ${ARGN})
  list(FILTER files INCLUDE REGEX "/")
  get_filename_component(folder ${output} DIRECTORY)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(OUTPUT ${output} COMMAND embed ${ARGN} > ${output} DEPENDS embed ${files} VERBATIM)
endfunction()

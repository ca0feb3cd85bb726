# What `cmake --install` lays out: bin/tl, and share/tl with the standard library, the table of models and the script
# that fetches them. The build tree gets the same share/tl as links, so that tl finds it the same way:
# beside the program (build/release/tl, build/release/share/tl) or one folder up (bin/tl, share/tl).
include(GNUInstallDirs)
set(TL_SHARE ${CMAKE_INSTALL_DATADIR}/tl)

if(TARGET tl)
  install(TARGETS tl RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
endif()
install(DIRECTORY std DESTINATION ${TL_SHARE} FILES_MATCHING PATTERN "*.tl")
install(DIRECTORY examples DESTINATION ${TL_SHARE} FILES_MATCHING PATTERN "*.tl")
install(PROGRAMS scripts/fetch_model.py DESTINATION ${TL_SHARE})
install(FILES scripts/models.json DESTINATION ${TL_SHARE})
install(FILES LICENSE README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})

file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/share/tl)
foreach(path std examples scripts/fetch_model.py scripts/models.json)
  get_filename_component(name ${path} NAME)
  file(CREATE_LINK ${PROJECT_SOURCE_DIR}/${path} ${PROJECT_BINARY_DIR}/share/tl/${name} SYMBOLIC)
endforeach()

# npm_packages(FOLDER [OPTION...]): what src/report/package-lock.json names, in FOLDER/node_modules;
# FOLDER/done is newer than the lock file then. Served by npm's cache once it was fetched.
find_program(NODE node REQUIRED)
find_program(NPM npm REQUIRED)

function(npm_packages folder)
  set(lock ${PROJECT_SOURCE_DIR}/src/report)
  file(MAKE_DIRECTORY ${folder})
  add_custom_command(
    OUTPUT ${folder}/done
    COMMAND ${CMAKE_COMMAND} -E copy ${lock}/package.json ${lock}/package-lock.json ${folder}
    COMMAND sh -c "\"$0\" ci \"$@\" >npm.log || { echo 'npm: what src/report/package-lock.json names is not to be had' >&2; exit 1; }"
            ${NPM} ${ARGN} --ignore-scripts --prefer-offline --no-audit --no-fund --loglevel=error
    COMMAND ${CMAKE_COMMAND} -E touch ${folder}/done
    WORKING_DIRECTORY ${folder}
    DEPENDS ${lock}/package.json ${lock}/package-lock.json
    COMMENT "npm ci" VERBATIM)
endfunction()

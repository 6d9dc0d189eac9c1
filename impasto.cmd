@echo off
rem Runs impasto from this clone on Windows, as ./impasto does elsewhere: the first use makes .venv beside this file and
rem installs what is needed. IMPASTO_PYTHON chooses the Python, 3.11 or newer. Nobody has run this file on Windows yet.
setlocal

rem A clone that was moved still works: its own src comes first.
if defined PYTHONPATH set "PYTHONPATH=;%PYTHONPATH%"
set "PYTHONPATH=%~dp0src%PYTHONPATH%"

if defined IMPASTO_PYTHON set base="%IMPASTO_PYTHON%"
if defined IMPASTO_PYTHON goto found
for %%P in ("py -3" "python" "python3") do (
    %%~P -I -c "import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))" >nul 2>nul && set "base=%%~P" && goto found
)
echo impasto: no Python 3.11 or newer found: install one from python.org, or name it in IMPASTO_PYTHON. >&2
exit /b 1

:found
%base% -I "%~dp0scripts\setup_environment.py" fitting "%~f0" %* <nul || exit /b
"%~dp0.venv\Scripts\python.exe" -P -m impasto %*

"""What a program calls, by what it is about; `cachexport` itself has all of it."""

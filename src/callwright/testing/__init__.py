"""Doubles that ship: a call engine without a network and a customer's web application without a customer."""
